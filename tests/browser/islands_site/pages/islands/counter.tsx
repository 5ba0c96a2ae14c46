import { useState, useEffect, useId, useRef } from "preact/hooks";
import { Item } from "../parts/item";
import "./counter.css";
export default function Counter({ text, numbers, start = 5, name }) {
  const [count, setCount] = useState(start);
  const [effects, setEffects] = useState(0);
  const ref = useRef(null), id = useId();
  useEffect(() => setEffects((n) => n + (ref.current.tagName === "BUTTON" ? 1 : 100)), []);
  return (
    <section aria-label={name} class="counter" style={{ marginTop: 2 }} data-effects={effects}>
      <button ref={ref} id={id} onClick={() => setCount(count + 1)}>{name} is {count}</button>
      <p title={text}>{text}{numbers.length}<b>{numbers.map((n) => <i key={n}>{String(n)}</i>)}</b></p>
      <ul>{[1, 2].map((n) => <Item n={n} />)}</ul>
      <svg width="8" height="8" viewBox="0 0 1 1"><path strokeWidth={2} d="M0 0L1 1" /></svg>
      <input aria-label={`${name} input`} defaultValue="kept" />
    </section>
  );
}
