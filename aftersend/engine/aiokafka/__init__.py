"""Every patch of aiokafka and every access to its private parts. The version of aiokafka is pinned because of them."""
