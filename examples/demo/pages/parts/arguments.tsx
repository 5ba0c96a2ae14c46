// A form made of a function's typed signature.

import type { Export } from "./types";
import { isNumber } from "./values";

interface Props { fn: Export; values: string[]; onValue: (index: number, text: string) => void }

export function Arguments({ fn, values, onValue }: Props) {
  if (fn.params.length === 0) return <p class="hint">It takes no arguments.</p>;
  return (
    <div class="bar" role="group" aria-label="Arguments">
      {fn.params.map((param, index) => {
        const name = param.name || `argument ${index + 1}`;
        const type = param.type === "bytes" ? "bytes, as base64" : param.type === "json" ? "JSON" : param.type;
        const value = values[index] ?? "";
        return param.type === "bool" ? (
          <label key={index} class="check">
            <input
              type="checkbox" checked={value === "true"}
              onChange={(event) => onValue(index, String(event.currentTarget.checked))}
            /> {name}: bool
          </label>
        ) : (
          <label key={index} class="wide">{`${name}: ${type}`}
            <input
              spellcheck={false} autocapitalize="off" maxLength={4000} value={value}
              inputMode={isNumber(param.type) ? "decimal" : "text"}
              onInput={(event) => onValue(index, event.currentTarget.value)}
            />
          </label>
        );
      })}
    </div>
  );
}
