/** Host keys as texts. */
import { expect, it } from "vitest";
import { bestHostKey, fingerprint, parseHostKey } from "../../../clients/hostKey.ts";
import { HOST_KEY } from "../../support/mocks.ts";

it("is read once into type, bytes and text", () => {
  const key = parseHostKey(`${HOST_KEY} root@lb`);
  expect(key).toMatchObject({ type: "ssh-ed25519", text: HOST_KEY });
  expect(key?.bytes.toString("base64")).toBe(HOST_KEY.split(" ")[1]);
  expect(fingerprint(key?.bytes)).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
});

it.each(["", "ssh-ed25519", "ssh-ed25519 nonsense", `${HOST_KEY}\n${HOST_KEY}`])(
  "%j is not one key",
  (text) => {
    expect(parseHostKey(text)).toBeUndefined();
  },
);

it("has no best one where a line is something else", () => {
  expect(bestHostKey(`${HOST_KEY}\nConnection refused`)).toBeUndefined();
});
