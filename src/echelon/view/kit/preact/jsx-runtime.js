// `preact/jsx-runtime` on the server.
export { $jsx$ as jsx, $jsxs$ as jsxs, $jsx$ as jsxDEV, $Fragment$ as Fragment } from "./core.js";
