import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['./test/fast-check-setup.ts'],
    testTimeout: 60_000,
    // Two cores in CI; each worker compiles WebAssembly on threads of its own.
    maxWorkers: 2,
    reporters: ['default', './test/totals-reporter.ts'],
  },
});
