// `preact/compat`, which `react` stands for, on the server.
import { createElement, cloneElement, createContext, createRef, isValidElement, toChildArray, Component, $Fragment$,
         useReducer, useState, useMemo, useRef, useCallback, useContext, useEffect, useDebugValue, useId,
         renderToString } from "./core.js";

const Fragment = $Fragment$;
const named = (wrapper, inner, kind) => {
  wrapper.displayName = `${kind}(${inner.displayName || inner.name})`;
  return wrapper;
};
const PureComponent = class extends Component {};
const memo = (inner) => named((props) => createElement(inner, props), inner, "Memo");
const forwardRef = (inner) => named(({ ref, ...props }) => inner(props, ref ?? null), inner, "ForwardRef");
const Suspense = (props) => props.children;
const lazy = () => () => {
  throw new Error("lazy() cannot be rendered on the server: import the component, or make it an island");
};
const createPortal = () => null;
const Children = {
  map: (children, action) => children == null ? null : toChildArray(children).map((child, i) => action(child, i)),
  forEach: (children, action) => toChildArray(children).forEach((child, i) => action(child, i)),
  count: (children) => toChildArray(children).length,
  only: (children) => {
    const found = toChildArray(children);
    if (found.length !== 1) throw new Error("Children.only");
    return found[0];
  },
  toArray: toChildArray,
};
const useTransition = () => [false, (action) => action()];
const useDeferredValue = (value) => value;
const useSyncExternalStore = (_subscribe, snapshot, serverSnapshot) => (serverSnapshot ?? snapshot)();
const useEffectEvent = (callback) => callback;
const startTransition = (action) => action();
const flushSync = (action) => action?.();
const version = "19.0.0";
const names = {
  createElement, cloneElement, createContext, createRef, isValidElement, Component, Fragment, PureComponent, memo, forwardRef,
  Suspense, lazy, createPortal, Children, useReducer, useState, useMemo, useRef, useCallback, useContext, useEffect,
  useDebugValue, useId, useLayoutEffect: useEffect, useInsertionEffect: useEffect, useImperativeHandle: useEffect,
  useTransition, useDeferredValue, useSyncExternalStore, useEffectEvent, startTransition, flushSync, version,
};
export default names;
export { createElement, cloneElement, createContext, createRef, isValidElement, Component, Fragment, PureComponent, memo,
         forwardRef, Suspense, Suspense as StrictMode, lazy, createPortal, Children, useReducer, useState, useMemo, useRef,
         useCallback, useContext, useEffect, useDebugValue, useId, useEffect as useLayoutEffect,
         useEffect as useInsertionEffect, useEffect as useImperativeHandle, useTransition, useDeferredValue,
         useSyncExternalStore, useEffectEvent, startTransition, flushSync, version, renderToString };
