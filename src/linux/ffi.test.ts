import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  addressOf,
  close,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  memoryAt,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
  pageSize,
  syscall,
} from './ffi.ts';

const linux = process.platform === 'linux';

describe.skipIf(!linux)(`system calls${linux ? '' : ' (skipped: not Linux)'}`, () => {
  it('return what the kernel returns, or the negative errno', () => {
    const fd = syscall('eventfd2', 0, 0);
    expect(fd).toBeGreaterThan(2);
    close(fd);
    expect(syscall('close', fd)).toBe(-9);
    expect(() => close(fd)).toThrow(expect.objectContaining({ code: 'SLUICE_LINUX_EBADF' }));
  });

  it('map memory that both sides see', () => {
    const mapping = mmap(pageSize(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    const bytes = new Uint8Array(memoryAt(mapping.address, mapping.length));
    bytes.set([1, 2, 3], 100);
    expect(addressOf(bytes.subarray(100))).toBe(mapping.address + 100);
    expect([...new Uint8Array(memoryAt(mapping.address + 100, 3))]).toEqual([1, 2, 3]);
    munmap(mapping);
  });

  it('give the address of a small array, which stays', () => {
    const small = new Uint8Array(8);
    const before = addressOf(small);
    for (let i = 0; i < 50; i++) new Array(100_000).fill(i); // work for the collector
    expect(addressOf(small)).toBe(before);
  });

  it('refuse a mapping without a length', () => {
    expect(() => mmap(0, PROT_READ, MAP_PRIVATE)).toThrow(expect.objectContaining({ code: 'SLUICE_LINUX_MMAP' }));
  });
});

describe('on another platform', () => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')!;
  afterEach(() => {
    Object.defineProperty(process, 'platform', platform);
    vi.resetModules();
  });

  it('everything can be imported, and the first call says what is missing', async () => {
    Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' });
    vi.resetModules();
    const { bpfRefusal } = await import('./features.ts');
    const { possibleCpus } = await import('./cpus.ts');
    await import('./load.ts');
    expect(bpfRefusal()).toBe('this is darwin: the kernel target needs Linux');
    expect(possibleCpus()).toBeGreaterThan(0);
  });
});
