/** Kinds of addresses and the policies made of them; the incidents were all spellings that a simpler list let pass. */

import { describe, expect, test } from "vitest";
import { addressKind, denyLinkLocalAddresses, denyPrivateAddresses } from "../lib/index.ts";

const KINDS: readonly [address: string, kind: string][] = [
  ["8.8.8.8", "public"],
  ["1.1.1.1", "public"],
  ["172.15.255.255", "public"],
  ["172.32.0.0", "public"],
  ["100.63.255.255", "public"],
  ["100.128.0.0", "public"],
  ["192.169.0.0", "public"],
  ["11.0.0.0", "public"],
  ["2606:4700::1111", "public"],
  ["2a00:1450::1", "public"],
  ["0.0.0.0", "unspecified"],
  ["0.1.2.3", "unspecified"],
  ["10.0.0.1", "private"],
  ["10.255.255.255", "private"],
  ["172.16.0.0", "private"],
  ["172.31.255.255", "private"],
  ["192.168.1.1", "private"],
  ["100.64.0.1", "shared"],
  ["100.127.255.255", "shared"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["169.254.169.254", "link-local"],
  ["192.0.2.1", "reserved"],
  ["198.18.0.1", "reserved"],
  ["198.19.255.255", "reserved"],
  ["198.51.100.1", "reserved"],
  ["203.0.113.1", "reserved"],
  ["224.0.0.1", "multicast"],
  ["239.255.255.255", "multicast"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "reserved"],
  ["::", "unspecified"],
  ["::1", "loopback"],
  ["0:0:0:0:0:0:0:1", "loopback"],
  ["fc00::1", "private"],
  ["fdff:ffff::1", "private"],
  ["fe80::1", "link-local"],
  ["fe80::1%eth0", "link-local"],
  ["febf::1", "link-local"],
  ["fec0::1", "private"],
  ["ff02::1", "multicast"],
  ["2001:db8::1", "reserved"],
  ["2001::1", "reserved"],
  // IPv4 inside of IPv6
  ["::ffff:127.0.0.1", "loopback"],
  ["::ffff:7f00:1", "loopback"],
  ["0:0:0:0:0:ffff:7f00:0001", "loopback"],
  ["::ffff:10.0.0.1", "private"],
  ["::ffff:169.254.169.254", "link-local"],
  ["::ffff:8.8.8.8", "public"],
  ["::127.0.0.1", "loopback"],
  ["::ffff:0:127.0.0.1", "loopback"],
  ["64:ff9b::10.0.0.1", "private"],
  ["64:ff9b::8.8.8.8", "public"],
  ["64:ff9b:1::1", "private"],
  ["2002:7f00:1::", "loopback"],
  ["2002:a9fe:a9fe::1", "link-local"],
  ["2002:808:808::", "public"],
  // no addresses
  ["", "invalid"],
  ["localhost", "invalid"],
  ["127.1", "invalid"],
  ["0177.0.0.1", "invalid"],
  ["256.1.1.1", "invalid"],
  ["1.2.3.4.5", "invalid"],
  ["::1::", "invalid"],
  [":::", "invalid"],
  ["1:2:3:4:5:6:7", "invalid"],
  ["1:2:3:4:5:6:7:8:9", "invalid"],
  ["12345::", "invalid"],
  ["1.2.3.4::", "invalid"],
  ["::g", "invalid"],
];

describe("addressKind()", () => {
  test.each(KINDS)("%s is %s", (address, kind) => expect(addressKind(address)).toBe(kind));
});

describe("the policies", () => {
  test.each(KINDS)("of %s, which is %s", (address, kind) => {
    expect(denyPrivateAddresses(address)).toBe(kind === "public");
    expect(denyLinkLocalAddresses(address)).toBe(kind !== "link-local" && kind !== "invalid");
  });
});
