import Broken from "./islands/broken";
import Classic from "./islands/classic";
export default () => <><Broken /><Classic /></>;
