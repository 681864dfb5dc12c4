// The service's public interface: JSON in and out, errors as it explains them, events as they come.

import { parse } from "./stream.js";

const KEY = "crlso-key";

/** An answer that is not a success, with the service's own explanation. */
class Problem extends Error {
  constructor(status, content) {
    super(content.detail ?? content.title ?? `The service answered ${status}.`);
    this.status = status;
  }
}

/** The key is kept in this tab only. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
};

/** Headers by which a request that is sent twice makes one thing; a new one for each press of a button. */
export const once = () => ({ "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") });

export const get = async (path) => (await send("GET", path)).json();
export const text = async (path) => (await send("GET", path)).text();
export const post = async (path, body, headers) => (await send("POST", path, { body, headers })).json();

/** Events of a GET, or of a POST with a body: {id, event, data}, data as JSON. */
export async function* events(path, { body, lastId, signal } = {}) {
  const headers = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
  const response = await send(body ? "POST" : "GET", path, { body, headers, signal });
  yield* parse(response.body);
}

/** Saves what a path answers with as a file. */
export async function download(path, name) {
  const blob = await (await send("GET", path)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function send(method, path, { body, headers = {}, signal } = {}) {
  const all = { Accept: "application/json", ...headers };
  if (key.get()) all.Authorization = `Bearer ${key.get()}`;
  if (body) all["Content-Type"] = "application/json";
  const response = await reach(path, { method, headers: all, body: body && JSON.stringify(body), signal });
  if (response.ok) return response;
  if (response.status === 401) document.dispatchEvent(new Event("key-wanted"));
  throw new Problem(response.status, await response.json().catch(() => ({})));
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service cannot be reached.");
  }
}
