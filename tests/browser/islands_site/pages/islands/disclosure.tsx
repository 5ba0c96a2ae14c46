import { createContext } from "preact";
import { useContext, useState } from "preact/hooks";
const Mood = createContext("calm");
const Shown = () => <em>{useContext(Mood)}</em>;
export default function Disclosure({ children, label }) {
  const [open, setOpen] = useState(true);
  return (
    <Mood.Provider value="loud">
      <button aria-expanded={open} onClick={() => setOpen(!open)}>{label}</button><Shown />
      {open && <div class="inside">{children}</div>}
    </Mood.Provider>
  );
}
