"""What IrisVue's services say to each other: events, envelope and topology; it needs only pydantic."""
