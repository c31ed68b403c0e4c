"""trimif: the MIF API (draft-liu-mif-api-extension-06) for Trio."""
