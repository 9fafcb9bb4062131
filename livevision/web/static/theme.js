// Sets the theme before anything is drawn.
"use strict";
{
  let theme = "auto";
  try { theme = localStorage.getItem("theme") || "auto"; } catch { /* not kept */ }
  document.documentElement.dataset.theme = theme;
}
