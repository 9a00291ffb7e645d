import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipAsync } from '@gfx/zopfli'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

/** What every view needs is one file: it packs better, and is asked for once. */
const CORE =
  /node_modules\/(@?preact)|src\/(language\/(language|format)|trace\/view\/scale|settings\/(state|remembered)|theme|api\/(failure|server)|route|app|trace\/(started|dropped)|parts\/(icon|states|later|keys|service))/

export default defineConfig({
  // Relative: the same files work at `/`, under a stage such as `/clew/`, and under a custom domain.
  base: './',
  plugins: [smallPreload(), packed()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../chalicelib/present/static',
    emptyOutDir: true,
    target: 'es2023',
    // The page's policy allows no inline script, and every current browser preloads modules by itself.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 120,
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'core', test: CORE }] } } },
  },
  worker: { format: 'es' },
  server: {
    host: '127.0.0.1',
    proxy: { '/v1': process.env['CLEW_URL'] ?? 'http://127.0.0.1:8000' },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})

/**
 * Vite's helper for parts that are loaded later, 1.4 kB gzipped of every page, without what current browsers and this
 * page's policy need none of: it asks at once for all files of a part, and waits for its styles.
 */
function smallPreload(): Plugin {
  return {
    name: 'small-preload',
    apply: 'build',
    transform: {
      filter: { id: /vite\/preload-helper/ },
      handler: () => ({ code: SMALL_PRELOAD, map: null }),
    },
  }
}
const SMALL_PRELOAD = `
const seen = {}
for (const { href } of document.querySelectorAll('link')) seen[href] = true
const linked = (href) => new Promise((resolve, reject) => {
  const link = document.createElement('link')
  const isStyle = href.endsWith('.css')
  link.rel = isStyle ? 'stylesheet' : 'modulepreload'
  link.href = href
  link.onload = resolve
  link.onerror = () => { delete seen[href]; link.remove(); reject(new Error('cannot load ' + href)) }
  document.head.append(link)
  if (!isStyle) resolve()
})
export const __vitePreload = (load, names = [], from) => Promise.all(
  names.map((name) => seen[name = new URL(name, from).href] ??= linked(name))
).then(load)
`

/**
 * Each asset is packed here, once, as tightly as gzip allows (4 % less than what a server has the time for):
 * `chalicelib/present/ui.py` sends `NAME.gz` to who takes it.
 */
function packed(): Plugin {
  let folder = ''
  return {
    name: 'packed',
    apply: 'build',
    configResolved: ({ build }) => {
      folder = join(build.outDir, 'assets')
    },
    closeBundle: async () => {
      for (const name of await readdir(folder)) {
        const content = await readFile(join(folder, name))
        const small = await gzipAsync(content, { numiterations: 15 })
        if (small.length < content.length) await writeFile(join(folder, `${name}.gz`), small)
      }
    },
  }
}
