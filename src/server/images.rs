//! The images of the languages: found, looked over, and put on the stage.

use crate::config::Settings;
use crate::host::stage::Stage;
use crate::image::{Image, Images, Recipes};
use crate::server::{Definitions, StartError};

impl StartError {
    /// There is no image for a language: it was not built yet, or it has no recipe and was not imported.
    #[must_use]
    pub fn no_image(name: String, language: String, recipes: &Recipes) -> Self {
        if recipes.get(&name).is_some() {
            return Self::NoImage { name, language };
        }
        let known = recipes.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>().join(", ");
        Self::NoRecipe { name, language, known }
    }
}

/// Puts the image of every language on the stage, and says which they are.
pub(super) fn stage(settings: &Settings, definitions: &Definitions, stage: &Stage) -> Result<Vec<Image>, StartError> {
    let store = Images::open(&settings.images)?;
    let mut staged: Vec<Image> = Vec::new();
    for language in definitions.languages.iter() {
        let (name, language_name) = (language.image.clone(), language.name.clone());
        for profile in language.profiles() {
            if definitions.profiles.get(profile).is_none() {
                return Err(StartError::NoProfile { name: profile.to_owned(), language: language_name });
            }
        }
        if staged.iter().any(|image| image.name == name) {
            continue;
        }
        let Some(image) = store.named(&name, &definitions.recipes)? else {
            return Err(StartError::no_image(name, language_name, &definitions.recipes));
        };
        store.check_quick(&image)?;
        stage.add_image(&name, &image.rootfs)?;
        staged.push(image);
    }
    Ok(staged)
}
