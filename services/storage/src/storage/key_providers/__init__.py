"""Who wraps data keys: keys in a file of settings, AWS KMS, or the transit engine of Vault."""
