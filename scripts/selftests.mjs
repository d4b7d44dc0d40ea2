// Compiles the kernel's own BPF selftests, to be judged and run by tests: nothing of them is in this repository.
// Sources: Debian's package linux-source-6.12 (/usr/src/linux-source-6.12.tar.xz), or a kernel tree in SLUICE_LINUX_SOURCE. Objects and what is
// unpacked go to a cache outside: SLUICE_CACHE, or ~/.cache/sluice.
// Usage: node scripts/selftests.mjs [--clang clang-22] [--tagged] [NAME-PART…]     prints the folder of the objects on stdout
import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const TARBALL = '/usr/src/linux-source-6.12.tar.xz';
const BPF = 'tools/testing/selftests/bpf';
/** Of a program's verdict. */
const TAGS = /\b__(success|failure)\b/;
/** What the programs include, besides their own folder. */
const PARTS = [
  BPF,
  'tools/lib/bpf',
  'tools/include',
  'include/uapi/linux/bpf.h',
  'scripts/bpf_doc.py',
  'tools/sched_ext/include',
];

/** Why there is nothing to compile here, or undefined. */
export function selftestsRefusal(clang = 'clang-22') {
  if (process.platform !== 'linux') return 'no Linux';
  if (spawnSync(clang, ['--version'], { stdio: 'ignore' }).status !== 0) return `no ${clang}`;
  if (spawnSync('python3', ['--version'], { stdio: 'ignore' }).status !== 0)
    return 'no python3, which writes bpf_helper_defs.h';
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'no /sys/kernel/btf/vmlinux';
  if (process.env.SLUICE_LINUX_SOURCE === undefined && !existsSync(TARBALL))
    return 'no kernel sources: apt-get install linux-source-6.12, or set SLUICE_LINUX_SOURCE';
  return undefined;
}

/**
 * Compiles the programs whose file names have one of `parts` in them (all without), as far as that was not done before; with `tagged` only
 * those that say what is expected of them.
 * Gives the folder of the objects, their names, and the names of sources that the compiler refuses.
 */
export async function compileSelftests(parts = [], { clang = 'clang-22', tagged = false, note = () => {} } = {}) {
  const refusal = selftestsRefusal(clang);
  if (refusal !== undefined) throw new Error(refusal);
  const cache = join(process.env.SLUICE_CACHE ?? join(homedir(), '.cache/sluice'), 'selftests-6.12');
  const tree = process.env.SLUICE_LINUX_SOURCE ?? unpack(cache, note);
  const headers = prepareHeaders(cache, tree, note);
  const objects = join(cache, clang);
  mkdirSync(objects, { recursive: true });
  const folder = join(tree, BPF, 'progs');
  const wanted = readdirSync(folder)
    .filter((name) => name.endsWith('.c') && (parts.length === 0 || parts.some((part) => name.includes(part))))
    .filter((name) => !tagged || TAGS.test(readFileSync(join(folder, name), 'utf8')))
    .sort();
  const refused = [];
  const queue = wanted.filter((name) => !existsSync(join(objects, name.replace(/\.c$/, '.bpf.o'))));
  let done = 0;
  const work = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const failed = join(objects, name.replace(/\.c$/, '.refused'));
      if (existsSync(failed) || !(await compile(clang, headers, tree, join(folder, name), join(objects, name)))) {
        writeFileSync(failed, '');
        refused.push(name);
      }
      note(`compile: ${++done} ${name}`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const built = wanted.filter((name) => !refused.includes(name)).map((name) => name.replace(/\.c$/, '.bpf.o'));
  return { objects, built, refused };
}

function unpack(cache, note) {
  const tree = join(cache, 'linux');
  if (existsSync(join(tree, '.complete'))) return tree;
  note('unpack: the parts of linux-source-6.12 that the selftests need');
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  const names = PARTS.map((part) => `linux-source-6.12/${part}`);
  const { status } = spawnSync('tar', ['xf', TARBALL, '-C', tree, '--strip-components=1', ...names], {
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error(`${TARBALL} could not be unpacked`);
  writeFileSync(join(tree, '.complete'), '');
  return tree;
}

/** vmlinux.h of this kernel, and libbpf's headers as an installation would have them. */
function prepareHeaders(cache, tree, note) {
  const headers = join(cache, 'headers');
  if (existsSync(join(headers, '.complete'))) return headers;
  note('headers: vmlinux.h of this kernel, and libbpf');
  rmSync(headers, { recursive: true, force: true });
  mkdirSync(join(headers, 'bpf'), { recursive: true });
  const print = (file, command, args) => {
    const { status, stdout } = spawnSync(command, args, { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
    writeFileSync(file, stdout);
  };
  print(join(headers, 'vmlinux.h'), process.execPath, [join(root, 'bin/sluice.js'), 'gen', 'vmlinux']);
  for (const name of readdirSync(join(tree, 'tools/lib/bpf')))
    if (name.endsWith('.h')) copyFileSync(join(tree, 'tools/lib/bpf', name), join(headers, 'bpf', name));
  print(join(headers, 'bpf/bpf_helper_defs.h'), 'python3', [
    join(tree, 'scripts/bpf_doc.py'),
    '--header',
    '--file',
    join(tree, 'tools/include/uapi/linux/bpf.h'),
  ]);
  symlinkSync(join(tree, 'tools/include/uapi/linux'), join(headers, 'linux'));
  writeFileSync(join(headers, '.complete'), '');
  return headers;
}

/** Instruction set v3 as the kernel's default, v4 for what needs it. */
async function compile(clang, headers, tree, source, stem) {
  const object = stem.replace(/\.c$/, '.bpf.o');
  const flags = [
    '-g',
    '-O2',
    '--target=bpfel',
    '-D__TARGET_ARCH_x86',
    '-std=gnu11',
    '-fno-strict-aliasing',
    '-Wno-everything',
    `-I${headers}`,
    `-I${join(tree, BPF)}`,
    `-I${join(tree, 'tools/testing/selftests')}`,
    `-I${join(tree, 'tools/sched_ext/include')}`,
    '-isystem',
    '/usr/include/x86_64-linux-gnu',
  ];
  for (const cpu of ['v3', 'v4']) {
    const status = await new Promise((resolve) => {
      spawn(clang, [...flags, `-mcpu=${cpu}`, '-c', source, '-o', object], {
        cwd: join(tree, BPF),
        stdio: 'ignore',
      }).on('close', resolve);
    });
    if (status === 0 && existsSync(object) && statSync(object).size > 0) return true;
  }
  rmSync(object, { force: true });
  return false;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const at = args.indexOf('--clang');
  const clang = at < 0 ? 'clang-22' : args.splice(at, 2)[1];
  const tag = args.indexOf('--tagged');
  const tagged = tag >= 0 && args.splice(tag, 1).length > 0;
  try {
    const { objects, built, refused } = await compileSelftests(args, {
      clang,
      tagged,
      note: (text) => process.stderr.write(`${text}\n`),
    });
    process.stderr.write(
      `${built.length} objects; ${refused.length} sources that ${clang} refuses${refused.length > 0 ? `: ${refused.join(' ')}` : ''}\n`,
    );
    process.stdout.write(`${objects}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(4);
  }
}
