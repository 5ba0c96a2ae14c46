// `preact` on the server.
export { createElement, createElement as h, $Fragment$ as Fragment, cloneElement, createContext, createRef, isValidElement,
         toChildArray, Component, options } from "./core.js";
export const render = () => {};
export const hydrate = () => {};
