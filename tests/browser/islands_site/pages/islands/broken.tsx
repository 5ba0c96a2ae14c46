export default () => { if (typeof document !== "undefined") throw new Error("only here"); return <p>fine</p>; };
