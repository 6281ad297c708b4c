// The page on which the API is read and tried. What somebody types in, a key say, stays in this page.

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";

const place = document.getElementById("api");

// It knows a dark scheme by a class, not by what the reader has chosen.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUI({
  domNode: place,
  url: place.dataset.description,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // nobody else is asked what they think of it
  persistAuthorization: false,
  requestSnippetsEnabled: false,
  queryConfigEnabled: false, // an address decides nothing about what is loaded
});
