// Swagger UI over our OpenAPI document. A request that is tried out is signed here, with the key and secret typed in above:
// the signature covers the raw target and the body, which no static header value could do.
"use strict";

const field = (id) => document.getElementById(id);
for (const id of ["key", "secret"]) {
  field(id).value = sessionStorage.getItem(id) || "";
  field(id).addEventListener("input", () => sessionStorage.setItem(id, field(id).value));
}
field("signing").addEventListener("submit", (event) => event.preventDefault());
if (!window.crypto.subtle) {
  field("signing-note").textContent = "Browsers sign on https or on localhost only: open this page as http://localhost.";
}

async function signature(secret, message) {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(message)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function sign(request) {
  const url = new URL(request.url, location.href);
  const key = field("key").value.trim();
  const secret = field("secret").value.trim();
  if (!url.pathname.startsWith("/api/v1/") || !key || !secret || !window.crypto.subtle) return request;
  const expires = String(Math.floor(Date.now() / 1000) + 60);
  const message = request.method.toUpperCase() + url.pathname + url.search + expires + (request.body || "");
  request.url = url.href;
  request.headers["api-key"] = key;
  request.headers["api-expires"] = expires;
  request.headers["api-signature"] = await signature(secret, message);
  return request;
}

window.ui = SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: sign,
});
