import { Head } from "echelon/view";
export default ({ children }) => <main><Head><title>Islands</title><link rel="icon" href="data:," /></Head>
    <h1>Islands</h1>{children}</main>;
