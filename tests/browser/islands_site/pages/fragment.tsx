import Classic from "./islands/classic";
import Adder from "./islands/adder";
export const More = () => <li><Adder name="late" /></li>;
export default () => <><Classic /><ul id="list" /></>;
