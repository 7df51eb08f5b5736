// Where the gateway is: a proxy may publish it below a path, which the address of the page has.

export const base = new URL(".", document.baseURI).pathname;

// The address of a path of the gateway, such as "/v1/status".
export const at = (path) => base + path.slice(1);
