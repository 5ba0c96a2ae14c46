// What the server and the page say to each other.

export interface Sample { language: string; title: string; function: string; args: string; source: string }
export interface Offer { name: string; title: string; found: boolean; install: string; samples: Sample[] }
export interface Run {
  id: number; at: string; language: string; source: string; function: string; args: string;
  ok: boolean; result: string; ms: number;
}
export interface Param { name: string; type: string }
export interface Export { name: string; params: Param[]; results: string[] }
export interface Diagnostic { line: number; column: number; severity: string; message: string }
export interface Cost { wall_ms: number; cpu_ms: number; memory_bytes: number; host_calls: number }
export interface Log { level: string; message: string }

/** What a compile or a call answers: a value, or a problem document (RFC 9457). */
export interface Answer {
  text?: string; exports?: Export[]; size?: number; cached?: boolean; compile_ms?: number;
  stdout?: string; stderr?: string; logs?: Log[]; cost?: Cost; diagnostics?: Diagnostic[];
  title?: string; detail?: string; frames?: { function: string; file?: string; line?: number }[];
}
