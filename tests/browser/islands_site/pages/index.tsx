import Counter from "./islands/counter";
import Adder from "./islands/adder";
import Disclosure from "./islands/disclosure";
import Classic from "./islands/classic";
const Static = () => <p id="static">never in the browser</p>;
export default ({ text, numbers }) => (
  <>
    <Counter text={text} numbers={numbers} name="first" />
    <Counter text={text} numbers={numbers} name="second" start={50} />
    <Adder name="one" /><Adder name="other" />
    <Disclosure label="outer">
      <Static />
      <Counter text="" numbers={[]} name="inner" />
      <Disclosure label="nested"><span>deep</span></Disclosure>
    </Disclosure>
    <Classic />
  </>
);
