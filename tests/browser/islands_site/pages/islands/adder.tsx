import { computed } from "@preact/signals";
import { total } from "../../shared";
const twice = computed(() => total.value * 2);
export default ({ name }) => <p><button onClick={() => total.value++}>add {name}</button> <output>{total} {twice}</output></p>;
