"""The campaign file: read with places, checked whole, held as typed models (CAMPAIGN.md)."""
