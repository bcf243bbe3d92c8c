package clickhouse

// Crash kills the child as the kernel would.
func (s *Server) Crash() { s.kill() }

// Child is the child's process id.
func (s *Server) Child() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child.Pid
}

// EngineEnv is the child's environment.
var EngineEnv = engineEnv

// Inherited is the variable with the descriptor of a child's socket.
const Inherited = inherited

// WithSum expects a library of this hash.
func WithSum(o FetchOptions, sum string) FetchOptions {
	o.sum = sum
	return o
}

// Restarts returns how often a child died and was replaced.
func (s *Server) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deaths
}
