/**
 * A process of its own that floods one end of a veth pair: `node xdp-sender.js NAMESPACE IFNAME BYTES`, until it is killed. The frames are made and sent by
 * the kernel (BPF_PROG_TEST_RUN with live frames, Linux 5.18), so that the sender is not the limit.
 */
import { assemble } from '../isa/assembler.ts';
import { interfaceIndex } from '../linux/netdev.ts';
import { inNamespace } from '../linux/netns.ts';
import { loadRaw } from '../linux/programs.ts';
import { ethernet } from '../net/ethernet.ts';
import { ipv4 } from '../net/ipv4.ts';
import { packet } from '../net/packet.ts';
import { udp } from '../net/udp.ts';

const BPF_F_TEST_XDP_LIVE_FRAMES = 1 << 1;
/** Frames of one system call: seconds, because its beginning takes milliseconds. A signal ends it. */
const FRAMES = 1 << 24;
const HEADERS = 42;

const [namespace, interfaceName, bytes] = process.argv.slice(2);
const data = packet(
  ethernet(),
  ipv4({ src: '192.0.2.1', dst: '198.51.100.1' }),
  udp({ srcPort: 4000, dstPort: 4001 }),
  new Uint8Array(Number(bytes) - HEADERS),
);

inNamespace(namespace!, () => {
  const text = `
    r1 = ${interfaceIndex(interfaceName!)}
    r2 = 0
    call 23
    exit`;
  const program = loadRaw(assemble(text, { syntax: 'llvm' }).insns, 'xdp');
  const send = () => {
    // A program in a namespace redirects in that of the calling thread.
    inNamespace(namespace!, () =>
      program.testRun({ data, repeat: FRAMES, flags: BPF_F_TEST_XDP_LIVE_FRAMES, batchSize: 64 }),
    );
    setImmediate(send);
  };
  send();
});
