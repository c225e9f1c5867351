"""Query API: routes, request parsing, answers, and forwarding between workers."""
