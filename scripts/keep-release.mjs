// Keeps what objects of the present version were built against, when it is released: test/released/VERSION/ gets interfaces.json, objects and their tests. Later versions are
// held to them by test/stability.test.ts; a folder is never written twice.
// Usage: node scripts/keep-release.mjs   (after a build)
// Exit: 0 done; 1 that version is kept already.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(fileURLToPath(import.meta.url), '../..');
const { offeredInterfaces, version } = await import(join(root, 'dist/index.js'));

// One of each kind of use; programs of the root folder have tests in bpf/tests that run on them.
const objects = [
  ...['xdp_firewall', 'xdp_load_balancer', 'xdp_parser', 'xdp_rate_limit', 'xdp_dns_filter', 'xdp_syn_cookies'],
  ...['tc_nat', 'sk_lookup_steer', 'metadata/packet_id', 'metadata/trait_kfuncs', 'mem/moves', 'mem/prefill'],
  ...['steering/device_socket', 'steering/device_vnet_hash', 'steering/rss_report', 'steering/rss_vnet_hash'],
  ...['ring/nops', 'ring/counting', 'ring/emit_reap', 'ring/pingpong', 'ring/loop_nops', 'ring/write_file'],
];

const folder = join(root, 'test/released', version);
if (existsSync(folder)) {
  process.stderr.write(`keep-release: ${folder} is there already; a release does not change\n`);
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
const rows = offeredInterfaces().map((each) => `  ${JSON.stringify(each)}`);
writeFileSync(
  join(folder, 'interfaces.json'),
  `{"schema":"sluice.interfaces/1","version":"${version}","interfaces":[\n${rows.join(',\n')}\n]}\n`,
);
for (const name of objects)
  copyFileSync(join(root, `bpf/objects/${name}.bpf.o`), join(folder, `${basename(name)}.bpf.o`));
const tests = join(root, 'bpf/tests');
for (const name of readdirSync(tests))
  writeFileSync(join(folder, name), readFileSync(join(tests, name), 'utf8').replace('"../objects/', '"'));
process.stdout.write(`kept ${rows.length} interfaces and ${objects.length} objects of ${version}\n`);
