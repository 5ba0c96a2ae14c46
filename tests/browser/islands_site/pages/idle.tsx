import Classic from "./islands/classic";
export default () => <Classic hydrate="idle" />;
