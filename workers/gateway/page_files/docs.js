// Shows the OpenAPI document in Swagger UI. All files come from this server.

"use strict";

window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  presets: [window.SwaggerUIBundle.presets.apis],
  validatorUrl: null, // no external validator
});
