// `echelon/view` in the browser, for islands that share components with pages.
export const Head = () => null;
export const useRoute = () => ({
  path: location.pathname, params: {}, query: Object.fromEntries(new URLSearchParams(location.search)), nonce: "",
});
export const island = (component) => component;
