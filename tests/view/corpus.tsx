// Components of every kind, by name. Rendered by Echelon and by preact-render-to-string, the HTML must be the same.
import { Component, Fragment, cloneElement, createContext, createElement, h, isValidElement, toChildArray } from "preact";
import { useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";

const Theme = createContext("light");
const Depth = createContext(0);
const Themed = () => <b>{useContext(Theme)}</b>;
const Nested = ({ left }) => {
  const depth = useContext(Depth);
  return <Depth.Provider value={depth + 1}><i>{depth}</i>{left ? <Nested left={left - 1} /> : null}</Depth.Provider>;
};
class Counter extends Component {
  state = { count: 1 };
  componentWillMount() { this.setState({ count: this.state.count + 1 }); }
  render({ step }, { count }) { return <output>{count * step}</output>; }
}
class Derived extends Component {
  static getDerivedStateFromProps(props) { return { twice: props.n * 2 }; }
  render() { return <u>{this.state.twice}</u>; }
}
class Legacy extends Component {
  getChildContext() { return { color: "red" }; }
  render({ children }) { return children; }
}
const Reader = (_props, context) => <s>{context.color}</s>;
class TypedReader extends Component {
  static contextType = Theme;
  render() { return <em>{this.context}</em>; }
}
const Pass = ({ children }) => children;
const Wrap = ({ children }) => <div class="wrap">{toChildArray(children).map((child) => <p>{child}</p>)}</div>;
const Cloned = ({ children }) => cloneElement(children, { class: "cloned", title: "t" }, "new");
const Inspect = ({ children }) => <code>{isValidElement(children) ? `${children.type} ${children.props.class} ${children.key}` : "no"}</code>;
const Settles = () => {
  const [n, set] = useState(0);
  if (n < 3) set(n + 1);
  return <p>{n}</p>;
};
const Hooks = () => {
  const [state, dispatch] = useReducer((s, a) => s + a, 1, (x) => x * 10);
  const memoized = useMemo(() => state * 2, [state]);
  const ref = useRef(5);
  const call = useCallback(() => "called", []);
  useEffect(() => { throw new Error("effects do not run"); });
  useLayoutEffect(() => { throw new Error("effects do not run"); });
  return <p id={useId()}>{state} {memoized} {ref.current} {call()} {typeof dispatch} {useId()}</p>;
};
const items = [1, 2, 3];
const dynamic: any = { id: "d<", "data-x": 1, hidden: true, onClick: () => 1, title: null, lang: undefined, draggable: false };
const text = `<a & "b" 'c'>`;
const yes = true, no = false, zero = 0, none = null, empty = "";

export const cases: Record<string, () => any> = {
  text: () => <p>plain</p>,
  escaped: () => <p title={text} data-static={'<"&'}>{text} &lt; &amp; &nbsp; &copy; {"<s>"}</p>,
  nothing: () => <p>{none}{undefined}{yes}{no}{empty}{zero}{NaN}{1.5}{-0}{10n}</p>,
  literals: () => <p>{null}{undefined}{true}{false}{""}{0}{"x"}{-1}{1e21}{`t`}</p>,
  functions: () => <p>{() => "x"}{Symbol.iterator ? "y" : ""}{{}}</p>,
  lists: () => <ul>{items.map((n) => <li key={n}>{n}</li>)}{[[1, [2, "<"]], [null, false]]}</ul>,
  fragments: () => <>a<>b<Fragment key="k">c</Fragment></>{<>d</>}</>,
  emptyFragment: () => <></>,
  spread: () => <div class="a" {...dynamic} id="last">x</div>,
  spreadOnly: () => <div {...dynamic} />,
  spreadChildren: () => <div {...{ children: [1, <b>2</b>] }} />,
  classes: () => <p class="a" /> ,
  className: () => <p className={text} />,
  both: () => <p class="a" className="b" />,
  bothOther: () => <p className="b" class="a" />,
  labels: () => <label htmlFor="x" tabIndex={1} accessKey="k">l</label>,
  forBoth: () => <label htmlFor="x" for="y">l</label>,
  voids: () => <div><br /><img src="a" alt="" /><hr class={empty} /><input value="v" disabled /><meta charset="u" /></div>,
  voidChildren: () => h("br", {}, "x"),
  booleans: () => <input checked={yes} disabled={no} readOnly required={true} autofocus={false} hidden="" />,
  booleanNames: () => <video autoPlay muted={yes} playsInline loop={no} />,
  aria: () => <p aria-hidden={no} aria-label={none} aria-busy aria-x={true} data-a={yes} data-b={no} aria-n={zero} />,
  enumerated: () => <p draggable={no} spellcheck={yes} spellCheck={no} contentEditable={no} />,
  defaults: () => <div><input defaultValue="a" /><input type="checkbox" defaultChecked /></div>,
  select: () => <select value="b"><option value="a">A</option><option value="b">B</option></select>,
  selectNumber: () => <select value={2}>{items.map((n) => <option value={n}>{n}</option>)}</select>,
  selectGroup: () => <select value="b"><optgroup label="g"><option value="b">B</option></optgroup><option>none</option></select>,
  selectInner: () => <select value="b"><Pass><option value="b" selected={no}>B</option></Pass></select>,
  selectDefault: () => <select defaultValue="a"><option value="a">A</option></select>,
  textarea: () => <textarea value={text} rows={3} />,
  textareaDefault: () => <textarea defaultValue="x" />,
  textareaChildren: () => <textarea>{"y<"}</textarea>,
  inner: () => <div dangerouslySetInnerHTML={{ __html: "<b>raw</b>" }} />,
  innerEmpty: () => <div dangerouslySetInnerHTML={{ __html: "" }}>x</div>,
  styles: () => <p style={{ color: "red", fontSize: 12, lineHeight: 2, "--x": 3, WebkitBoxFlex: 1, margin: null, top: "" }} />,
  stylesDynamic: () => <p style={{ width: items.length, opacity: 0.5, "background-color": text }} />,
  stylesEmpty: () => <p style={{}} />,
  stylesText: () => <p style="color:blue" />,
  stylesNone: () => <p style={none} />,
  svg: () => <svg viewBox="0 0 1 1" xmlnsXlink="x"><path strokeWidth={2} fillOpacity="0.5" d="M0" clipPath="url(#a)" /><g xlinkHref="#a" tabIndex={1} /></svg>,
  svgForeign: () => <svg><foreignObject><div tabIndex={2} strokeWidth="1" /></foreignObject></svg>,
  svgDynamic: () => <svg>{items.map((n) => <circle strokeWidth={n} strokeLinecap="round" />)}</svg>,
  svgComponent: () => <svg><Pass><text textAnchor="middle" xHeight="1">x</text></Pass></svg>,
  attributeNames: () => <form acceptCharset="u" encType="e" noValidate autoComplete="off"><meta httpEquiv="x" /><td colSpan={2} rowSpan={3} /></form>,
  unsafeName: () => h("p", { "on click=": "x", "a b": 1, ok: 1 }),
  namespaced: () => <a xlinkHref="x" xmlLang="de" xml:space="preserve" />,
  custom: () => <my-element some-prop="a" camelCase="b" obj={{ a: 1 }} list={[1, 2]}><slot name="x" /></my-element>,
  handlers: () => <button onClick={() => 1} onclick="go()" onInput={null}>b</button>,
  refs: () => <p ref={{ current: null }} key="k">r</p>,
  context: () => <div><Themed /><Theme.Provider value="dark"><Themed /><Theme.Provider value={undefined}><Themed /></Theme.Provider></Theme.Provider><Themed /></div>,
  contextItself: () => <Theme value="own"><Themed /></Theme>,
  contextNested: () => <Nested left={4} />,
  consumer: () => <Theme.Provider value="c"><Theme.Consumer>{(value) => <b>{value}</b>}</Theme.Consumer></Theme.Provider>,
  classComponent: () => <Counter step={3} />,
  derived: () => <Derived n={4} />,
  legacy: () => <div><Legacy><Reader /></Legacy></div>,
  contextType: () => <Theme.Provider value="typed"><TypedReader /></Theme.Provider>,
  hooks: () => <div><Hooks /><Hooks /></div>,
  settles: () => <Settles />,
  children: () => <Wrap>a{1}{null}<b>c</b>{[1, 2]}</Wrap>,
  cloned: () => <Cloned><span class="old" id="i">old</span></Cloned>,
  inspected: () => <div><Inspect><span class="x" key="kk">s</span></Inspect><Inspect>text</Inspect></div>,
  created: () => createElement("p", { key: "k", id: "x" }, "a", createElement("b", null, "c")),
  returnsNull: () => <div>{h(() => null, {})}{h(() => undefined, {})}{h(() => false, {})}{h(() => 5, {})}{h(() => [1, <b>2</b>], {})}</div>,
  conditional: () => <div>{yes && <b>yes</b>}{no && <b>no</b>}{zero && <b>zero</b>}{no ? <a /> : <i>else</i>}</div>,
  conditionalAttributes: () => <p class={yes ? "a" : "b"} id={no ? "x" : undefined} title={zero && "t"} />,
  regexes: () => <p title={/["'`]\/(?:a|[/"])/g.source} data-x={items.length / 2 / 3}>{"a/b".split(/\//).length / 1}</p>,
  templates: () => <p title={`a ${`b ${items.map((n) => `<${n}>`)} }`} $`}>{`${{ a: "}" }.a}`}</p>,
  comments: () => <p>{/* nothing */}{1 /* one */}</p>,
  unicode: () => <p title="é ü 漢 😀">{"\u2028\u2029 \u{1f600} \x41"} — “q”</p>,
  whitespace: () => <p>  a
    b {" "} c
  </p>,
  deep: () => <div><div><div><div class={text}><div>{items}<div>{<span>{text}</span>}</div></div></div></div></div></div>,
  arrows: () => <div>{items.map((n) => { if (n > 2) return null; const t = n++ / 2; return <p data-n={n} key={t}>{t}</p>; })}</div>,
  table: () => <table><tbody>{items.map((n) => <tr class={n % 2 ? "odd" : "even"}><td>{n}</td><td>{`r${n}<`}</td><td><a href={`/r/${n}?a=1&b=2`}>x</a></td></tr>)}</tbody></table>,
  throws: () => <p>{(() => { throw new Error("on purpose"); })()}</p>,
  badTag: () => h("a b", {}),
};
