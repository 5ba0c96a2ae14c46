import React, { memo, forwardRef, useSyncExternalStore } from "react";
const Label = memo(forwardRef((props, ref) => <strong ref={ref}>{props.children}</strong>));
export default class Classic extends React.Component {
  state = { on: false };
  render() {
    return <button onClick={() => this.setState({ on: !this.state.on })}><Label>{this.state.on ? "on" : "off"}</Label></button>;
  }
}
