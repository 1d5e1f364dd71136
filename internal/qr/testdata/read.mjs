// Reads QR codes as the phone app does: from their modules, and from a picture of
// them, turned a little.
//
// usage: node read.mjs < [{"svg","text"}], prints [{"modules","picture"}]
import { readFileSync } from "node:fs";
import { text } from "../../../ui/authenticator/qr/code.js";
import { read } from "../../../ui/authenticator/qr/find.js";
import { modulesOf, picture } from "../../../tests/qr/picture.mjs";

const out = JSON.parse(readFileSync(0, "utf8")).map(({ svg }, i) => {
  const code = modulesOf(svg);
  const module = Math.min(6, 600 / (code.n + 8));
  const side = Math.ceil((code.n + 8) * module * 1.45);
  return { modules: text(code.dark, code.n), picture: read(picture(code, { width: side, height: side, turn: (i * 7) % 360, module })) };
});
console.log(JSON.stringify(out));
