// `preact/hooks` on the server: effects do not run.
export { useReducer, useState, useMemo, useRef, useCallback, useContext, useEffect, useDebugValue, useId,
         useErrorBoundary, useEffect as useLayoutEffect, useEffect as useImperativeHandle } from "./core.js";
