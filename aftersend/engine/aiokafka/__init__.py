"""Every patch of aiokafka and every access to what it keeps private."""
