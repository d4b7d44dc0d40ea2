// NAT 1:1 of one host on an interface, in the kernel, until SIGINT or SIGTERM: TCP and UDP of PRIVATE leave as PUBLIC, and what comes for PUBLIC goes to PRIVATE.
// Usage: node bpf/control/nat.mjs INTERFACE PRIVATE PUBLIC      (as root; Linux 6.6)
import { readFileSync } from 'node:fs';
import { load } from 'sluice';
import { attachTcx } from 'sluice/linux';

const [, , name, inside, outside] = process.argv;
if (outside === undefined) {
  process.stderr.write('usage: nat.mjs INTERFACE PRIVATE PUBLIC\n');
  process.exit(2);
}
const object = readFileSync(new URL('../objects/tc_nat.bpf.o', import.meta.url));
const nat = await load(object, { target: 'linux', name: 'tc_nat.bpf.o' });
const bytes = (address) => Uint8Array.from(address.split('.'), Number);
const none = { port: 0, zero: 0, packets: 0n, bytes: 0n };
for (const protocol of [6, 17]) {
  const endpoint = (address, direction) => ({ address: bytes(address), port: 0, protocol, direction });
  nat.maps.translations.set(endpoint(inside, 0), { address: bytes(outside), ...none });
  nat.maps.translations.set(endpoint(outside, 1), { address: bytes(inside), ...none });
}
const links = [
  attachTcx(nat.programs.tc_nat_egress, name, 'egress'),
  attachTcx(nat.programs.tc_nat_ingress, name, 'ingress'),
];
const waiting = setInterval(() => {}, 1 << 30);
const end = () => {
  clearInterval(waiting);
  for (const link of links) link.close();
  nat.close();
};
process.once('SIGINT', end).once('SIGTERM', end);
process.stdout.write(`${name}: ${inside} is ${outside}\n`);
