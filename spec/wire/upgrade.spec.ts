/** Upgrade: what is offered, what is chosen, and what of that may be followed. */

import { describe, expect, test } from "vitest";
import { PairLines } from "../../lib/message/headers.ts";
import { protocolList, switchRefusal } from "../../lib/wire/upgrade.ts";

describe("protocolList() reads #protocol (RFC 9110 §7.8)", () => {
  test.each<[string, string[] | null]>([
    ["websocket", ["websocket"]],
    ["HTTP/2.0, SHTTP/1.3,IRC/6.9 , RTA/x11", ["http/2.0", "shttp/1.3", "irc/6.9", "rta/x11"]],
    [" , a ,, b\t", ["a", "b"]],
    ["", []],
    ["a b", null],
    ["a/", null],
    ["/1", null],
    ["a/1/2", null],
    ['a/"1"', null],
    ["a;b", null],
  ])("%j", (text, members) => expect(protocolList(text)).toEqual(members));
});

describe("switchRefusal() lets a 101 through only to what was offered", () => {
  const NOT_OFFERED = /not offered/;
  test.each<[string, string, [string, string][], RegExp | null]>([
    [
      "the one",
      "foo",
      [
        ["Upgrade", "foo"],
        ["Connection", "upgrade"],
      ],
      null,
    ],
    [
      "in other letters",
      "WebSocket",
      [
        ["upgrade", "websocket"],
        ["connection", "upgRADe"],
      ],
      null,
    ],
    [
      "among other options",
      "foo",
      [
        ["Upgrade", "foo"],
        ["Connection", "keep-alive, Upgrade"],
      ],
      null,
    ],
    [
      "in the second Connection",
      "foo",
      [
        ["Upgrade", "foo"],
        ["Connection", "x"],
        ["Connection", "upgrade"],
      ],
      null,
    ],
    [
      "one of two",
      "a, b/1",
      [
        ["Upgrade", "b/1"],
        ["Connection", "upgrade"],
      ],
      null,
    ],
    [
      "both, as layers",
      "a, b",
      [
        ["Upgrade", "a, b"],
        ["Connection", "upgrade"],
      ],
      null,
    ],
    [
      "a version of what was offered in every one",
      "foo",
      [
        ["Upgrade", "foo/2"],
        ["Connection", "upgrade"],
      ],
      null,
    ],
    [
      "another version",
      "foo/1",
      [
        ["Upgrade", "foo/2"],
        ["Connection", "upgrade"],
      ],
      NOT_OFFERED,
    ],
    [
      "no version of what was offered in one",
      "foo/1",
      [
        ["Upgrade", "foo"],
        ["Connection", "upgrade"],
      ],
      NOT_OFFERED,
    ],
    [
      "another",
      "foo",
      [
        ["Upgrade", "h2c"],
        ["Connection", "upgrade"],
      ],
      NOT_OFFERED,
    ],
    [
      "the one and another",
      "foo",
      [
        ["Upgrade", "foo, h2c"],
        ["Connection", "upgrade"],
      ],
      NOT_OFFERED,
    ],
    [
      "the one and another by a second field",
      "foo",
      [
        ["Upgrade", "foo"],
        ["Upgrade", "x"],
        ["Connection", "upgrade"],
      ],
      NOT_OFFERED,
    ],
    [
      "nothing was offered",
      "",
      [
        ["Upgrade", "foo"],
        ["Connection", "upgrade"],
      ],
      /without Upgrade in the request/,
    ],
    ["no Upgrade", "foo", [["Connection", "upgrade"]], /101 without Upgrade \(/],
    [
      "an empty Upgrade",
      "foo",
      [
        ["Upgrade", ""],
        ["Connection", "upgrade"],
      ],
      /101 without Upgrade \(/,
    ],
    [
      "no list",
      "foo",
      [
        ["Upgrade", "foo bar"],
        ["Connection", "upgrade"],
      ],
      /no list of protocols/,
    ],
    ["no Connection", "foo", [["Upgrade", "foo"]], /Connection does not say upgrade/],
    [
      "another option",
      "foo",
      [
        ["Upgrade", "foo"],
        ["Connection", "close"],
      ],
      /Connection does not say upgrade/,
    ],
    [
      "a Connection that is no list",
      "foo",
      [
        ["Upgrade", "foo"],
        ["Connection", "upgrade;"],
      ],
      /Connection does not/,
    ],
  ])("%s", (_, offered, fields, refusal) => {
    const said = switchRefusal(protocolList(offered) ?? [], new PairLines(fields));
    if (refusal === null) expect(said).toBeNull();
    else expect(said).toMatch(refusal);
  });
});
