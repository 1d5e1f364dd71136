// Reads a Web Push message as a browser would, with implementations that are
// not ours: http_ece decrypts the body (RFC 8188, RFC 8291), Node's own crypto
// checks the vapid token (RFC 8292).
//
// usage: node receive.mjs PACKAGE_JSON < {"private","auth","body","authorization"}
// All four are base64url, but authorization is the header. Prints
// {"text","header","claims"}.
import { createRequire } from "node:module";
import { createECDH, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const ece = createRequire(process.argv[2])("http_ece");
const input = JSON.parse(readFileSync(0, "utf8"));

const ecdh = createECDH("prime256v1");
ecdh.setPrivateKey(input.private, "base64url");
const text = ece.decrypt(Buffer.from(input.body, "base64url"), {
  version: "aes128gcm",
  privateKey: ecdh,
  authSecret: input.auth,
});

const [, token, k] = /^vapid t=([^,]+), k=(.+)$/.exec(input.authorization);
const point = Buffer.from(k, "base64url");
const key = createPublicKey({
  format: "jwk",
  key: { kty: "EC", crv: "P-256", x: point.subarray(1, 33).toString("base64url"), y: point.subarray(33).toString("base64url") },
});
const [header, claims, signature] = token.split(".");
if (!verify("sha256", Buffer.from(`${header}.${claims}`), { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"))) {
  throw new Error("the vapid signature is wrong");
}
const read = (part) => JSON.parse(Buffer.from(part, "base64url"));
console.log(JSON.stringify({ text: text.toString(), header: read(header), claims: read(claims) }));
