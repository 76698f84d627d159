// Shows the description that this gateway serves; nothing is loaded from elsewhere.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
