// `@preact/signals` on the server: values are read when they are written into the page, effects do not run.
import { signal, computed } from "@preact/signals-core";
import { useMemo, useEffect } from "../preact/core.js";

export { signal, computed, batch, untracked, action, createModel, Signal, Computed, Effect } from "@preact/signals-core";
export const effect = () => () => {};
export const useSignal = (value, options) => useMemo(() => signal(value, options), []);
export const useComputed = (compute, options) => useMemo(() => computed(compute, options), []);
export const useSignalEffect = () => { useEffect(); };
export const useModel = (Model) => useMemo(() => new Model(), []);
