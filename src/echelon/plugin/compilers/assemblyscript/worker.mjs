// The AssemblyScript compiler as a process that stays: one JSON request a line on standard input, one JSON
// answer a line on standard output. Every file it may read is in the request or in the toolchain's folder.
//
//   argument: <folder of the toolchain>; the guest kit lies beside this file
//   first line out: {"ready": true, "version": "0.28.20"}
//   request:  {"id", "files": {path: text}, "entry": path, "optimize": 0..3, "shrink": 0..2, "names": bool, "output": bytes}
//   answer:   {"id", "wasm": base64 | null, "lines": …, "diagnostics": […], "exports": […], "failure"?, "fatal"?}
//             `lines` is {"files": […], "places": [offset, file, line, …]}, each a difference to the one before
//
// `failure` is a crash of the compiler itself. After a `fatal` one its state is not to be trusted: restart it.

import process from "node:process";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// Standard output carries the protocol; what the compiler or Binaryen print must not get in between.
for (const level of ["log", "info", "debug", "trace", "warn"]) console[level] = console.error;

const [toolchain] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${toolchain}/node_modules/${path}`).href);
const compiler = await load("assemblyscript/dist/assemblyscript.js");
const asc = await load("assemblyscript/dist/asc.js");
const { default: binaryen } = await load("binaryen/index.js");

const LIBRARY = "~lib/";
const RUNTIME = "rt/index-incremental";
const MAX_DIAGNOSTICS = 100;
const MAX_DEPTH = 8;
const SEVERITIES = ["info", "info", "warning", "error"]; // pedantic, info, warning, error
const kit = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
const libraryFiles = { __proto__: null, ...asc.libraryFiles, echelon: kit("echelon.ts"), "echelon/json": kit("json.ts") };
const [major, minor, patch] = asc.version.split(".").map((part) => parseInt(part, 10) | 0);

/** The options of every compile. One set only: each would need its own parsed standard library (75 MB). */
function newOptions() {
  const options = compiler.newOptions();
  compiler.setTarget(options, 0);
  compiler.setRuntime(options, 2); // incremental: an instance that is kept must not leak
  compiler.setStackSize(options, compiler.DEFAULT_STACK_SIZE);
  compiler.setExportMemory(options, true);
  compiler.setExportRuntime(options, true); // the host lowers strings and arrays with __new and __pin
  compiler.setFeature(options, compiler.FEATURE_SIMD, true);
  compiler.setBundleVersion(options, major, minor, patch);
  return options;
}

/** Parse the standard library and the runtime into a fresh program: most of the time of a small compile. */
function newSpare() {
  const options = newOptions();
  const program = compiler.newProgram(options);
  for (const path of Object.keys(asc.libraryFiles)) {
    if (path.includes("/")) continue; // in a sub-directory: imported on demand
    compiler.parse(program, libraryFiles[path], `${LIBRARY}${path}.ts`, false);
  }
  compiler.parse(program, libraryFiles[RUNTIME], `${LIBRARY}${RUNTIME}.ts`, true);
  parseImports(program, {});
  return { options, program };
}

let spare = null;

function takeSpare() {
  const taken = spare ?? newSpare();
  spare = null;
  return taken;
}

/** Return [path, text] of an imported file; text is null when there is none. */
function find(internalPath, files) {
  if (internalPath.startsWith(LIBRARY)) {
    const name = internalPath.slice(LIBRARY.length);
    for (const path of [name, `${name}/index`]) {
      if (typeof libraryFiles[path] === "string") return [`${LIBRARY}${path}.ts`, libraryFiles[path]];
    }
  } else {
    for (const path of [`${internalPath}.ts`, `${internalPath}/index.ts`]) {
      if (Object.hasOwn(files, path)) return [path, files[path]];
    }
  }
  return [`${internalPath}.ts`, null];
}

function parseImports(program, files) {
  for (let path; (path = compiler.nextFile(program)) != null; ) {
    const [found, text] = find(path, files);
    compiler.parse(program, text, found, false);
  }
}

/** Compute line and column from an offset, both from 1; a column counts characters, not UTF-16 units. */
function place(range) {
  if (!range?.source) return { line: 0, column: 0, file: null };
  const { text, normalizedPath } = range.source;
  let line = 1;
  let start = 0;
  for (let at; (at = text.indexOf("\n", start)) >= 0 && at < range.start; start = at + 1) line++;
  return { line, column: [...text.slice(start, range.start)].length + 1, file: normalizedPath };
}

/** Move new messages of the program to `found`; returns how many of them are errors. */
function collect(program, found) {
  let errors = 0;
  for (let message; (message = compiler.nextDiagnostic(program)); ) {
    const error = compiler.isError(message);
    if (error) errors++;
    if (found.length >= MAX_DIAGNOSTICS) continue;
    const prefix = message.code < 1000 ? "AS" : "TS";
    found.push({
      ...place(message.range),
      severity: SEVERITIES[message.category] ?? "error",
      message: `${prefix}${message.code}: ${message.message}`.slice(0, 2000),
      related: message.relatedRange ? place(message.relatedRange) : null,
    });
  }
  return errors;
}

const JSON_CLASS = `${LIBRARY}echelon/json/Json`;
const NUMBERS = { isize: "i32", usize: "u32" };
const CORE = new Set(["bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64"]);

/** Return {type, wire} as in runtime/signature.py; throws a sentence when the type cannot cross the boundary. */
function describe(type, program, depth = 0) {
  if (depth > MAX_DEPTH) throw new Error(`it nests more than ${MAX_DEPTH} levels deep`);
  if (!type.isInternalReference) {
    const name = NUMBERS[type.toString()] ?? type.toString();
    if (!CORE.has(name)) throw new Error(`${name} has no counterpart outside`);
    return { type: name, wire: name };
  }
  if (type.signatureReference) throw new Error("a function cannot leave the module");
  const found = describeClass(type.getClassOrWrapper(program), program, depth);
  if (!type.isNullableReference) return found;
  return { type: `option<${found.type}>`, wire: { kind: "nullable", item: found.wire } };
}

function describeClass(found, program, depth) {
  if (!found) throw new Error("it has no class");
  const { id, prototype, internalName } = found;
  if (found === program.stringInstance) return { type: "str", wire: { kind: "string", id } };
  if (found === program.arrayBufferInstance) return { type: "bytes", wire: { kind: "buffer", id } };
  if (internalName === JSON_CLASS) {
    return { type: "json", wire: { kind: "json", id, item: { kind: "string", id: program.stringInstance.id } } };
  }
  const kinds = new Map([[program.arrayPrototype, "array"], [program.staticArrayPrototype, "static"]]);
  const kind = kinds.get(prototype) ?? (internalName.startsWith("~lib/typedarray/") ? "view" : null);
  if (kind === null) throw new Error("an instance of a class cannot leave the module; return a string, a number or an array");
  const item = describe(found.getArrayValueType(), program, depth + 1);
  const bytes = internalName === "~lib/typedarray/Uint8Array";
  return { type: bytes ? "bytes" : `list<${item.type}>`, wire: { kind, id, item: item.wire } };
}

/** Walk the functions the entry file exports, its `export * from` included. */
function* exportedFunctions(file, seen = new Set()) {
  if (seen.has(file)) return;
  seen.add(file);
  for (const [name, element] of file.exports ?? []) {
    for (const instance of element.instances?.values() ?? []) {
      if (instance.signature && instance.prototype === element) yield [name, instance];
    }
  }
  for (const other of file.exportsStar ?? []) yield* exportedFunctions(other, seen);
}

/** Make an export with optional parameters take all of them: a host cannot say how many it passed. */
function fillArguments(module, name, count) {
  const info = binaryen.getExportInfo(module.getExport(name));
  const target = binaryen.getFunctionInfo(module.getFunction(info.value));
  const types = binaryen.expandType(target.params);
  const call = module.call(info.value, types.map((type, index) => module.local.get(index, type)), target.results);
  const body = module.block(null, [module.global.set("~argumentsLength", module.i32.const(count)), call], target.results);
  module.addFunction(`${info.value}|all`, target.params, target.results, [], body);
  module.removeExport(name);
  module.addFunctionExport(`${info.value}|all`, name);
}

function describeExports(program, module, entry, diagnostics) {
  const exports = [];
  const file = program.filesByName.get(entry.replace(/\.ts$/, ""));
  const names = new Set();
  for (let index = 0; index < module.getNumExports(); index++) {
    names.add(binaryen.getExportInfo(module.getExportByIndex(index)).name);
  }
  for (const [name, instance] of file ? exportedFunctions(file) : []) {
    if (!names.delete(name)) continue;
    const { parameterTypes, requiredParameters, returnType } = instance.signature;
    const parameters = instance.prototype.functionTypeNode.parameters;
    if (requiredParameters < parameterTypes.length) fillArguments(module, name, parameterTypes.length);
    let part = "";
    try {
      const params = parameterTypes.map((type, index) => {
        part = `parameter "${parameters[index].name.text}" (${type})`;
        return { name: parameters[index].name.text, ...describe(type, program) };
      });
      part = `result (${returnType})`;
      const results = returnType.toString() === "void" ? [] : [describe(returnType, program)];
      exports.push({ name, params, results });
    } catch (error) {
      const message = `"${name}" has no typed signature: ${part}: ${error.message}`;
      diagnostics.push({ ...place(instance.identifierNode.range), severity: "warning", message, related: null });
    }
  }
  return exports;
}

const DIGITS = new Map([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].map((c, i) => [c, i]));

/** Turn a source map (revision 3; its columns are byte offsets) into places; those of the library have file -1. */
function readLines(sourceMap) {
  const { sources, mappings } = JSON.parse(sourceMap);
  const own = sources.map((path) => (path.startsWith(LIBRARY) ? null : path));
  const files = own.filter((path) => path !== null);
  const places = [];
  const at = [0, 0, 0, 0]; // offset, source, line, column
  const last = [0, 0, 0]; // offset, file, line
  for (const segment of mappings.split(",")) {
    let field = 0, value = 0, shift = 0;
    for (const digit of segment) {
      const bits = DIGITS.get(digit);
      value += (bits & 31) << shift;
      if (bits & 32) { shift += 5; continue; }
      if (field < 4) at[field++] += value & 1 ? -(value >> 1) : value >> 1;
      value = shift = 0;
    }
    const path = field < 4 ? null : own[at[1]];
    const file = path === null ? -1 : files.indexOf(path);
    const line = file < 0 ? last[2] : at[2] + 1;
    if (file === last[1] && line === last[2]) continue;
    places.push(at[0] - last[0], file - last[1], line - last[2]);
    last[0] = at[0]; last[1] = file; last[2] = line;
  }
  return { files, places };
}

/** Compile one request. `stage.deep` says whether Binaryen's state may be torn by an exception. */
function compile(request, stage) {
  const { files, entry } = request;
  const diagnostics = [];
  const failed = () => ({ wasm: null, exports: [], diagnostics });
  const { options, program } = takeSpare();
  try {
    compiler.setOptimizeLevelHints(options, request.optimize, request.shrink);
    compiler.setDebugInfo(options, request.names);
    compiler.setSourceMap(options, request.names);
    compiler.parse(program, files[entry], entry, true);
    parseImports(program, files);
    if (collect(program, diagnostics)) return failed();
    stage.deep = true;
    compiler.initializeProgram(program);
    const built = compiler.compile(program);
    if (collect(program, diagnostics)) return failed();
    const module = binaryen.wrapModule(built.ref);
    const exports = describeExports(program, module, entry, diagnostics);
    if (!compiler.validate(built)) throw new Error("the compiler produced an invalid module");
    compiler.optimize(built, request.optimize, request.shrink, request.names, false);
    const { binary: wasm, sourceMap } = request.names ? module.emitBinary("map") : { binary: module.emitBinary(), sourceMap: null };
    if (wasm.length > request.output) {
      const message = `the module has ${wasm.length} bytes, at most ${request.output} are allowed`;
      diagnostics.push({ line: 0, column: 0, file: null, severity: "error", message, related: null });
      return failed();
    }
    const lines = sourceMap === null ? null : readLines(sourceMap);
    return { wasm: Buffer.from(wasm.buffer, wasm.byteOffset, wasm.byteLength).toString("base64"), lines, exports, diagnostics };
  } finally {
    binaryen.wrapModule(program.module.ref).dispose();
  }
}

function answer(line) {
  const request = JSON.parse(line);
  const stage = { deep: false };
  let result;
  try {
    result = compile(request, stage);
  } catch (error) {
    const deep = error instanceof RangeError && /call stack/i.test(error.message);
    const failure = deep ? "too-deep" : String(error?.message ?? error).slice(0, 2000);
    result = { wasm: null, exports: [], diagnostics: [], failure, fatal: stage.deep };
  }
  send({ id: request.id, ...result });
  setImmediate(() => (spare ??= newSpare()));
}

function send(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const parts = [];
process.stdin.setEncoding("utf8");
process.stdin.on("data", (chunk) => {
  for (let at; (at = chunk.indexOf("\n")) >= 0; chunk = chunk.slice(at + 1)) {
    parts.push(chunk.slice(0, at));
    answer(parts.splice(0).join(""));
  }
  if (chunk) parts.push(chunk);
});
process.stdin.on("end", () => process.exit(0));

spare = newSpare();
send({ ready: true, version: asc.version });
