import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'

import { Problem } from '../api/client'
import { ErrorBoundary } from './ErrorBoundary'
import { Loading } from './Loading'
import { SignedIn } from './session'

const ConsolePage = lazy(() => import('../console/ConsolePage'))
const TerminalPage = lazy(() => import('../terminal/TerminalPage'))

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // An answer that says no stays no; only silence is worth asking again.
      retry: (failures, error) => !(error instanceof Problem) && failures < 3,
      staleTime: Infinity,
    },
  },
})

export function App() {
  return (
    <ErrorBoundary>
      <QueryClientProvider client={queries}>
        <Suspense fallback={<Loading />}>
          <Page path={location.pathname} />
        </Suspense>
      </QueryClientProvider>
    </ErrorBoundary>
  )
}

function Page({ path }: { path: string }) {
  const page = path.startsWith('/console') ? 'console' : 'terminal'
  return <SignedIn page={page}>{page === 'console' ? <ConsolePage /> : <TerminalPage />}</SignedIn>
}
