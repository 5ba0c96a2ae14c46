// What `preact/compat` offers; apart, because the package changes how all else is rendered once it is loaded.
import { Children, PureComponent, forwardRef, memo, useSyncExternalStore, useTransition, createPortal } from "react";

const Memo = memo(({ x }) => <p>{x}</p>);
const Forward = forwardRef((props, ref) => <p>{props.x} {String(ref === undefined)}</p>);
class Pure extends PureComponent {
  render() { return <b>{this.props.x}</b>; }
}
const Store = () => <i>{useSyncExternalStore(() => () => {}, () => "client", () => "client")} {`${useTransition()[0]}`}</i>;

export const cases: Record<string, () => any> = {
  memo: () => <Memo x="m" />,
  forward: () => <Forward x="f" ref={{ current: null }} />,
  childrenMap: () => <ul>{Children.map([1, 2], (n) => <li>{n}</li>)}{Children.count([1, 2])}</ul>,
  pure: () => <Pure x="p" />,
  store: () => <Store />,
  toArray: () => <p>{Children.toArray([1, [2, null]]).length}</p>,
};
