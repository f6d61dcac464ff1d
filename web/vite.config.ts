import { defineConfig } from 'vitest/config'

export default defineConfig({
  esbuild: { jsx: 'automatic' },
  build: {
    outDir: '../api/static',
    emptyOutDir: true,
    target: 'es2022',
    // The station's content policy allows scripts and styles from its own files only.
    assetsInlineLimit: 0,
    // The map library alone is larger than Vite's default; it loads after the page.
    chunkSizeWarningLimit: 1100,
    rollupOptions: {
      onwarn: (warning, warn) => {
        // React libraries mark their files for servers that render; there is none here.
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning)
      },
    },
  },
  server: {
    proxy: { '/api': 'http://127.0.0.1:8400' },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
