import { defineConfig } from 'vitest/config'

export default defineConfig({
  // Relative: the same files work at `/`, under a stage such as `/clew/`, and under a custom domain.
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../chalicelib/present/static',
    emptyOutDir: true,
    target: 'es2023',
    // The page's policy allows no inline script, and every current browser preloads modules by itself.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 120,
  },
  worker: { format: 'es' },
  server: {
    host: '127.0.0.1',
    proxy: { '/v1': process.env['CLEW_URL'] ?? 'http://127.0.0.1:8000' },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
