import Classic from "./islands/classic";
import Passing from "./islands/passing";
export default () => (
  <><p style={{ height: "4000px" }}>far</p><Passing hydrate="visible"><Classic hydrate="visible" /></Passing></>
);
