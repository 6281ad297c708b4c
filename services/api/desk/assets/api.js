// The page on which the API is read and tried. What somebody types in, a key say, stays in this page.

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";

const place = document.getElementById("api");

// It knows a dark scheme by a class, not by what the reader has chosen.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// What it does not say to whoever listens to the page or goes through it by the keyboard: selector, attribute, value.
const UNSAID = [
  ["main", "role", "region"], // it stands in the page's own
  ["main", "aria-label", "Calls"],
  ["#servers", "aria-label", "Server"],
  [".opblock-tag, .models > h4, .modal-ux-header h3", "aria-level", "2"],
  [".opblock-section-header h4, .responses-inner h4, .modal-ux-content h4", "aria-level", "3"],
  [".responses-inner h5", "aria-level", "4"],
  [".parameters-col_description select", "aria-label", "Value"],
  [".response-control-media-type select, .content-type-wrapper select", "aria-label", "Media type"],
  [".close-modal", "aria-label", "Close the window"],
  [".modal-btn.authorize[type=submit]", "aria-label", "Authorize: apply credentials"],
  [".microlight, .highlight-code", "tabindex", "0"],
];

function say() {
  for (const [selector, attribute, value] of UNSAID) {
    for (const each of place.querySelectorAll(selector)) {
      if (each.getAttribute(attribute) !== value) each.setAttribute(attribute, value);
    }
  }
}
new MutationObserver(say).observe(place, { childList: true, subtree: true });

SwaggerUI({
  domNode: place,
  url: place.dataset.description,
  deepLinking: false, // else each call's name is a link within a button
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // nobody else is asked what they think of it
  persistAuthorization: false,
  requestSnippetsEnabled: false,
  queryConfigEnabled: false, // an address decides nothing about what is loaded
});
